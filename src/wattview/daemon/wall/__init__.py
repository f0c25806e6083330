"""Power at the wall as the daemon knows it: by its meter, else by the calibration that it keeps."""
