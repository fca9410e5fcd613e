"""What a job asks for: processor, memory, disk, accelerator, placement."""
