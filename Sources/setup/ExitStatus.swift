/// What the process ends with.
enum ExitStatus: Int32 {
    case done = 0
    /// Something failed, or `verify` found something.
    case failed = 1
    case usage = 2
}
