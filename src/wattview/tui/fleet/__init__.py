"""The fleet: many hosts on one page."""
