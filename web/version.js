/** The pack's, as pyproject.toml has it. */
export const VERSION = "0.1.0"
