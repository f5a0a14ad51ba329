"""What a full-length run does to be faster: graphs, precision, processes, many seeds at once, oneDNN products."""
