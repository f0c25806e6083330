"""``wattview calibrate``: loads this machine step by step while a meter looks on, and learns its power at the wall."""
