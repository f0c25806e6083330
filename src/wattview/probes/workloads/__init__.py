"""Workloads: whatever runs, found in the cgroup tree, measured cheaply, and named by whoever knows the name."""
