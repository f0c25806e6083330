"""Containers: identity from their engine, resource use from their cgroups."""
