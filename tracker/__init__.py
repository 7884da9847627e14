"""What is stored, and what is done to it: cases, follow-ups, reminders, and the ways in and out."""
