/// What is wrong with a command line or with the environment that belongs to it.
struct UsageError: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
