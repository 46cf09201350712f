"""What the node and the national top-level node tell each other: outbox, intake and tally are pure, the rest acts."""
