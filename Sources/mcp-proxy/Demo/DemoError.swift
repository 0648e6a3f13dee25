import Glibc

/// Why the demo cannot go on, in words for whoever runs it.
struct DemoError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// A system call that failed just now.
    static func system(_ operation: String) -> DemoError {
        DemoError("\(operation): \(String(cString: strerror(errno)))")
    }
}
