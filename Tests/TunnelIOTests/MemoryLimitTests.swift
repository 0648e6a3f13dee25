import Glibc
import Testing
import TunnelIO
import TunnelTestSupport

@Suite struct MemoryLimitTests {
    private static let mib = 1 << 20
    private static let gib = 1 << 30

    /// A group's line in /proc/self/cgroup, files with their text, and what they come to.
    private static let trees: [(String, [(path: String, text: String)], MemoryLimit)] = [
        // Version 2, as a container sees its own group, or as a service does.
        ("0::/", [("memory.max", "536870912")], limit(512)),
        ("0::/system.slice/p.service", [("system.slice/p.service/memory.max", "536870912")], limit(512)),
        // The tightest on the way up counts, and `max` is none.
        ("0::/a/b", [("a/b/memory.max", "max"), ("a/memory.max", "268435456")], limit(256)),
        ("0::/a/b", [("a/b/memory.max", "536870912"), ("a/memory.max", "268435456")], limit(256)),
        ("0::/a", [("a/memory.max", "max"), ("memory.max", "max")], machine),
        // Told a path of the host, it finds its group at the top all the same.
        ("0::/kubepods/pod1", [("memory.max", "134217728")], limit(128)),
        ("0::/../../pod1", [("memory.max", "134217728")], limit(128)),
        // A group outside of what is mounted: a path that goes up leads to something else.
        ("0::/../pod1", [("memory.max", "134217728"), ("../pod1/memory.max", "67108864")], limit(128)),
        // A hybrid host.
        ("0::/a", [("unified/a/memory.max", "134217728")], limit(128)),
        // Version 1, together with other controllers or alone.
        ("4:memory:/docker/1", [("memory/docker/1/memory.limit_in_bytes", "536870912")], limit(512)),
        ("7:cpu,memory:/x", [("memory/x/memory.limit_in_bytes", "536870912")], limit(512)),
        ("4:memory:/docker/1", [("memory/memory.limit_in_bytes", "536870912")], limit(512)),
        ("4:memory:/", [("memory/memory.limit_in_bytes", "9223372036854771712")], machine),
        // More than there is.
        ("0::/", [("memory.max", "999999999999")], machine),
        // Nothing that could be read as a limit.
        ("0::/", [("memory.max", "-1")], machine), ("0::/", [("memory.max", "0")], machine),
        ("0::/", [("memory.max", "many")], machine), ("0::/", [("memory.max", "")], machine), ("0::/", [], machine),
        ("", [("memory.max", "1048576")], machine), ("nonsense", [("memory.max", "1048576")], machine),
        ("1:cpu:/", [("memory.max", "1048576")], machine),
    ]

    private static func limit(_ size: Int) -> MemoryLimit { MemoryLimit(bytes: size * mib, source: .controlGroup) }
    private static let machine = MemoryLimit(bytes: 8 * gib, source: .machine)

    @Test(arguments: trees.indices) func readsControlGroups(_ index: Int) throws {
        let (line, files, expected) = Self.trees[index]
        let root = temporaryPath()
        var made: [String] = []
        defer { for path in made.reversed() { Glibc.remove(path) } }
        try write(line, to: "\(root)/proc/self/cgroup", &made)
        for file in files { try write(file.text, to: "\(root)/sys/fs/cgroup/\(file.path)", &made) }
        #expect(MemoryLimit.current(root: root, machine: 8 * Self.gib) == expected)
    }

    @Test func withoutControlGroupsItIsTheMachines() {
        #expect(MemoryLimit.current(root: "/nonexistent", machine: 77) == MemoryLimit(bytes: 77, source: .machine))
        #expect(MemoryLimit.machineMemory > 64 * Self.mib && MemoryLimit.machineMemory < 1 << 50)
        #expect(MemoryLimit.current().bytes <= MemoryLimit.machineMemory)
    }

    /// Writes a line into a file, in folders that are made; `made` is what was.
    private func write(_ line: String, to path: String, _ made: inout [String]) throws {
        var folder = ""
        for name in path.split(separator: "/").dropLast() {
            folder += "/\(name)"
            if mkdir(folder, 0o755) == 0 { made.append(folder) }
        }
        guard let file = fopen(path, "w") else { throw TestError("cannot write \(path)") }
        made.append(path)
        defer { fclose(file) }
        fputs(line + "\n", file)
    }
}
