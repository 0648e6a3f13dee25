enum Demo { static func run() -> ExitStatus { .failed } }
