/// What the process ends with.
enum ExitStatus: Int32 {
    case done = 0
    /// The start failed, or a drain was cut short.
    case failed = 1
    case usage = 2
}
