"""Power at the wall: by a meter, else by the stored calibration."""
