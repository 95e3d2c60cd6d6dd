"""Commands that count people in pictures."""
