internal import Glibc

/// Every system call of ``DirectoryStore`` that may fail goes through here, so that a test can stand before each one.
struct FileOperations: Sendable {
    enum Call: String, Sendable {
        case makeFolder = "make folder"
        case open, status, read, write, sync, rename, remove, lock
        case setMode = "set the mode of"
        case setOwner = "set the owner of"
    }

    /// Called before each call, with what it is for; what it throws, the call fails with.
    var before: @Sendable (Call, _ path: String) throws(FileFailure) -> Void = { _, _ throws(FileFailure) in }
    /// How much one call writes at most. Less in tests, so that they can stop in the middle of a file.
    var maxWriteBytes = Int.max

    /// - Parameter body: the call; negative means that `errno` says why it failed.
    @discardableResult
    func callAsFunction(_ call: Call, _ path: String, _ body: () -> Int) throws(FileFailure) -> Int {
        try before(call, path)
        while true {
            let result = body()
            if result >= 0 { return result }
            let number = errno
            if number != EINTR { throw FileFailure(call, path, .system(number)) }
        }
    }

    @discardableResult
    func callAsFunction(_ call: Call, _ path: String, _ body: () -> CInt) throws(FileFailure) -> CInt {
        CInt(truncatingIfNeeded: try self(call, path) { Int(body()) })
    }
}
