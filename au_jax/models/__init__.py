"""The paper's networks as pure Flax Linen modules."""
