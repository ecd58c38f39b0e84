import tests.support.any_pace  # noqa: F401  (before settings of tests are made)
