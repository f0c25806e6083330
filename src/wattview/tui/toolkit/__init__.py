"""Where the dashboard departs from Textual: how long drawn lines are kept, and when styles are computed."""
