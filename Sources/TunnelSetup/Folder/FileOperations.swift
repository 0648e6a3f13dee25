internal import CLinux
internal import Glibc
internal import TunnelIO

/// Every system call of ``DirectoryStore`` that may fail goes through here, so that a test can stand before each one, and
/// so that each is made as the right user.
struct FileOperations: Sendable {
    enum Call: String, Sendable {
        case makeFolder = "make folder"
        case open, status, read, write, sync, rename, remove, lock
        case readLink = "read the link"
        case setMode = "set the mode of"
        case becomeOwner = "work as the owner of"
    }

    /// Called before each call, with what it is for; what it throws, the call fails with.
    var before: @Sendable (Call, _ path: String) throws(FileFailure) -> Void = { _, _ throws(FileFailure) in }
    /// How much one call writes at most. Less in tests, so that they can stop in the middle of a file.
    var maxWriteBytes = Int.max
    /// As whom the calls are made; `nil` is as this process.
    var user: FileUser?

    /// - Parameter body: the call; negative means that `errno` says why it failed.
    @discardableResult
    func callAsFunction(_ call: Call, _ path: String, _ body: () -> Int) throws(FileFailure) -> Int {
        try before(call, path)
        guard let user else { return try attempt(call, path, body) }
        guard let before = user.begin() else { throw FileFailure(.becomeOwner, path, .system(EPERM)) }
        defer { before.restore() }
        return try attempt(call, path, body)
    }

    @discardableResult
    func callAsFunction(_ call: Call, _ path: String, _ body: () -> CInt) throws(FileFailure) -> CInt {
        CInt(truncatingIfNeeded: try self(call, path) { Int(body()) })
    }

    private func attempt(_ call: Call, _ path: String, _ body: () -> Int) throws(FileFailure) -> Int {
        while true {
            let result = body()
            if result >= 0 { return result }
            let number = errno
            if number != EINTR { throw FileFailure(call, path, .system(number)) }
        }
    }
}

struct FileOwner: Sendable, Equatable {
    let user: uid_t
    let group: gid_t
}

/// The user whom a folder belongs to, where root does that user's work.
///
/// Whoever owns a folder decides what its names mean. With root's rights he could have root read a file that is not for
/// him, or write and give away one that is not his; with his own he can have done only what he could do himself.
struct FileUser: Sendable, Equatable {
    let owner: FileOwner

    /// What the calling thread was before.
    struct Before {
        fileprivate let groups: [UInt32]

        func restore() {
            // In this order: the first gives back the right to do the others. Each was allowed a moment ago.
            _ = CLinux_set_file_user(UInt32(geteuid()))
            _ = CLinux_set_file_group(UInt32(getegid()))
            _ = CLinux_set_thread_groups(groups, CInt(groups.count))
        }
    }

    /// Makes the calling thread open and make files as the owner, without any other group, until it is restored.
    ///
    /// - Returns: `nil`, with nothing changed, if this process may not.
    func begin() -> Before? {
        var groups = [UInt32](repeating: 0, count: Int(max(getgroups(0, nil), 0)))
        let count = getgroups(CInt(groups.count), &groups)
        guard count >= 0 else { return nil }
        let before = Before(groups: Array(groups.prefix(Int(count))))
        guard CLinux_set_thread_groups(nil, 0) == 0, CLinux_set_file_group(owner.group) == 0,
            CLinux_set_file_user(owner.user) == 0
        else {
            before.restore()
            return nil
        }
        return before
    }
}

/// Something that could not be done with a file.
struct FileFailure: Error {
    enum Reason: Equatable {
        /// The kernel said no; the value is `errno`.
        case system(CInt)
        /// There is something else where a file should be.
        case notAFile(String)
        /// A symbolic link leads nowhere.
        case danglingLink
        /// It belongs to neither this process's user nor the folder's owner.
        case strangers(user: UInt32)
        /// A file that has a second name, where it must have one: whoever changes it changes the other too.
        case secondName
        /// The file is longer than any of our values.
        case tooLarge
        /// Another run holds the lock; the number is what it says its process is.
        case held(by: Int32?)
    }

    let call: FileOperations.Call
    let path: String
    let reason: Reason

    init(_ call: FileOperations.Call, _ path: String, _ reason: Reason) {
        (self.call, self.path, self.reason) = (call, path, reason)
    }
}

extension StoreError {
    /// The failure for the operator: in the words that other tools have, and with what helps.
    ///
    /// - Parameter folder: the folder of the store.
    init(_ failure: FileFailure, in folder: String) {
        let path = failure.path
        switch failure.reason {
        case .system(let number):
            let (code, remedy) = StoreError.meaning(of: number, failure.call, folder)
            self.init(code, "\(failure.call.rawValue) \(path): \(IOError.text(of: number))", remedy: remedy)
        case .notAFile(let kind):
            self.init(.malformed, "\(path) is \(kind), not a file", remedy: "move it away")
        case .danglingLink:
            self.init(
                .malformed, "\(path) is a symbolic link to nothing", remedy: "restore what it leads to, or remove it")
        case .strangers(let user):
            self.init(
                .denied, "\(path) belongs to user \(user), who is neither the folder's owner nor the one setup runs as",
                remedy: "see who put it there, and move it away")
        case .secondName:
            self.init(
                .denied, "\(path) has a second name somewhere else (a hard link)",
                remedy: "see who put it there, and remove it")
        case .tooLarge:
            self.init(
                .malformed, "\(path) is larger than \(StoreContents.maxValueBytes) bytes",
                remedy: "put the right file there, or move it away")
        case .held(let process):
            let who = process.map { " (process \($0), as numbered where it runs)" } ?? ""
            self.init(
                .busy, "another run of setup\(who) holds \(path)",
                remedy: "wait until it has ended, then run setup again")
        }
    }

    private static func meaning(
        of number: CInt, _ call: FileOperations.Call, _ folder: String
    ) -> (code: Code, remedy: String) {
        switch number {
        case EPERM where call == .becomeOwner:
            return (.denied, "run setup as the folder's owner, or give it the capabilities SETUID and SETGID")
        case EACCES, EPERM:
            let user = "\(geteuid()):\(getegid())"
            let make = call == .makeFolder ? "mkdir \(folder) && " : ""
            return (.denied, "setup runs as \(user); give it the folder: \(make)chown -R \(user) \(folder)")
        case EROFS:
            return (.notWritable, "mount the file system writable, or name another folder")
        case ENOSPC, EDQUOT:
            return (.notWritable, "free space and run setup again")
        case EFBIG:
            return (.notWritable, "raise the limit of file sizes (ulimit -f) and run setup again")
        case ENOENT:
            return (.notFound, "make the folder that it lies in")
        case ENOTDIR, ELOOP, ENAMETOOLONG, EINVAL:
            return (.notFound, "name a folder that is one")
        case ENOTEMPTY, EEXIST:
            return (.malformed, "it holds what this version of setup did not put there: move that away")
        case ENOLCK, ENOSYS, EOPNOTSUPP:
            return (.notWritable, "use a file system that has locks, such as a local one")
        case EMFILE, ENFILE:
            return (.unavailable, "raise the limit of open files (ulimit -n)")
        default:
            return (.unavailable, "look for the disk's failure in the kernel's log, then run setup again")
        }
    }

    /// Makes an error for the operator of what fails, with what that means for the values.
    static func report<Result>(
        _ path: String, _ consequence: String = "", _ body: () throws(FileFailure) -> Result
    ) throws(StoreError) -> Result {
        do throws(FileFailure) { return try body() } catch {
            let failure = StoreError(error, in: path)
            throw StoreError(failure.code, failure.reason + consequence, remedy: failure.remedy)
        }
    }
}
