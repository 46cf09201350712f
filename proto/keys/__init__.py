"""What keys are, and what somebody who holds one can prove: pure, chance and time are given."""
