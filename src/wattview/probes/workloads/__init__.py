"""Workloads: found in the cgroup tree, measured at low cost, and named by their engines."""
