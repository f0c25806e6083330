"""``wattview calibrate``: loads this machine step by step while a meter measures, and learns its power at the wall."""
