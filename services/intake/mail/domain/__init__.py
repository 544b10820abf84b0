"""What a mail says, and whether it is an alert at all. Pure, and bounded whatever is sent."""
