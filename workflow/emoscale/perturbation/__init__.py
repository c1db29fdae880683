"""Speech as it would be heard elsewhere: in noise, in a room, over a telephone."""
