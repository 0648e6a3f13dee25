internal import Glibc
internal import TunnelCore

/// How much memory this process may use: what its control group allows, or what the machine has.
package struct MemoryLimit: Equatable, Sendable {
    package enum Source: Equatable, Sendable {
        /// The tightest limit of the control group and those that it lies in.
        case controlGroup
        case machine
    }

    package let bytes: Int
    package let source: Source

    package init(bytes: Int, source: Source) { (self.bytes, self.source) = (bytes, source) }

    /// Above this a number stands for "no limit": version 1 writes the largest whole page.
    private static let unlimited = 1 << 60

    /// Reads what holds now; both versions of control groups are looked at. Blocks, for the files of a virtual file system.
    ///
    /// - Parameters:
    ///   - root: of the file system, for tests.
    ///   - machine: bytes of memory.
    package static func current(root: String = "", machine: Int = machineMemory) -> MemoryLimit {
        let limits = groupFiles(root: root).compactMap(limit(in:))
        guard let least = limits.min(), least < machine else { return MemoryLimit(bytes: machine, source: .machine) }
        return MemoryLimit(bytes: least, source: .controlGroup)
    }

    /// By sysinfo(2), which also a process sees that cannot see /proc/meminfo.
    package static var machineMemory: Int {
        let (pages, size) = (sysconf(CInt(_SC_PHYS_PAGES)), sysconf(CInt(_SC_PAGESIZE)))
        return pages > 0 && size > 0 ? pages * size : .max
    }

    /// The files that may hold a limit of this process (cgroups(7)).
    private static func groupFiles(root: String) -> [String] {
        guard let text = text(of: "\(root)/proc/self/cgroup") else { return [] }
        var files: [String] = []
        for line in text.split(separator: "\n") {
            // `0::/path` for version 2, `4:memory:/path` for version 1.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[0] == "0" && parts[1].isEmpty {
                // A hybrid host has the second version in a folder of its own.
                for mount in ["sys/fs/cgroup", "sys/fs/cgroup/unified"] {
                    files += upwards(from: parts[2]).map { "\(root)/\(mount)\($0)/memory.max" }
                }
            } else if parts[1].split(separator: ",").contains("memory") {
                files += upwards(from: parts[2]).map { "\(root)/sys/fs/cgroup/memory\($0)/memory.limit_in_bytes" }
            }
        }
        return files
    }

    /// A path and those that it lies in. The last one, the empty one, is also where a container sees its own group, whatever
    /// path it is told.
    private static func upwards(from path: Substring) -> [String] {
        let names = path.split(separator: "/")
        // Out of what is mounted a group cannot be reached.
        guard !names.contains("..") else { return [""] }
        return (0...names.count).reversed().map { names.prefix($0).reduce("") { "\($0)/\($1)" } }
    }

    private static func limit(in file: String) -> Int? {
        guard let text = text(of: file)?.split(separator: "\n").first, let bytes = Int(text) else { return nil }
        return bytes > 0 && bytes < unlimited ? bytes : nil
    }

    private static func text(of file: String) -> String? {
        guard let bytes = try? FileBytes.read(file, limit: 65_536) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
