"""What components of each kind keep, as checks that this project's tests and plugins run."""
