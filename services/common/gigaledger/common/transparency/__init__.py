"""What proves that a history is whole: Merkle tree, signed checkpoints. Pure, shared by all."""
