import Glibc
import Synchronization

@testable import TunnelSetup

/// File operations of which one fails: what a crash, or a fault of the disk, would do at that point.
final class Faults: Sendable {
    struct Made: Sendable, CustomStringConvertible {
        let call: FileOperations.Call
        let path: String
        /// The one that makes the change.
        var isCommit: Bool { call == .rename && path.hasSuffix("/.setup-journal") }
        var description: String { "\(call.rawValue) \(path.split(separator: "/").dropFirst(2).joined(separator: "/"))" }
    }
    private let calls = Mutex<[Made]>([])

    /// All calls that were tried.
    var made: [Made] { calls.withLock { $0 } }

    /// Everything works and is recorded.
    func none() -> FileOperations { operations { _ in nil } }

    /// From the call with this number on nothing happens any more, as in a process that is killed there. It writes in
    /// small pieces, so that some of these points lie in the middle of a file.
    func crash(at number: Int) -> FileOperations { operations { $0 >= number ? EIO : nil } }

    /// The call with this number fails, those after it work.
    func failure(_ error: CInt, at number: Int) -> FileOperations { operations { $0 == number ? error : nil } }

    private func operations(_ fault: @escaping @Sendable (_ number: Int) -> CInt?) -> FileOperations {
        var operations = FileOperations()
        operations.maxWriteBytes = 5
        operations.before = { call, path throws(FileFailure) in
            let number = self.calls.withLock { calls in
                calls.append(Made(call: call, path: path))
                return calls.count - 1
            }
            if let error = fault(number) { throw FileFailure(call, path, .system(error)) }
        }
        return operations
    }
}
