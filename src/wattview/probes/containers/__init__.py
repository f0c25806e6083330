"""Containers: who they are from their engine, and what they use from their cgroups."""
