"""What the end-to-end tests stand on: servers, pgroute, and both sides of the wire in plain Python."""
