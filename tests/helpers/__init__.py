"""What several tests share: models, data, oracles, and runs in processes of their own."""
