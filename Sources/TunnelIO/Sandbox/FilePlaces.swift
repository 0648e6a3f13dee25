internal import Glibc

/// Where files lie that are read again and again, and are replaced meanwhile.
package enum FilePlaces {
    /// As many links as the kernel follows.
    private static let maxLinks = 40

    /// The folders that have to be readable so that a file can be read also after it was replaced: by a rename, as editors
    /// and ACME clients do it, or by another folder in a link's place, as Kubernetes does it with `..data`.
    ///
    /// That is the folder of the path and that of each link behind it, and where a folder is itself a link to one beside it,
    /// the folder of both. A file in `/` stands for itself: everything lies there. So do the names in `/dev` and `/proc`.
    ///
    /// - Parameters:
    ///   - path: absolute.
    ///   - link: what a link holds; `nil` for what is none.
    package static func folders(of path: String, link: (String) -> String? = FilePlaces.link) -> [String] {
        if path.hasPrefix("/dev/") || path.hasPrefix("/proc/") { return [path] }
        var places: [String] = []
        func add(_ place: String) { if !places.contains(place) { places.append(place) } }
        var path = path
        for _ in 0..<maxLinks {
            let folder = parent(of: path)
            add(folder == "/" ? path : folder)
            let outer = parent(of: folder)
            if folder != "/", outer != "/", let target = link(folder), isBeside(target, in: outer) { add(outer) }
            guard let target = link(path) else { break }
            path = joined(folder, target)
        }
        return places
    }

    /// Without links, and absolute; `nil` for what is not there.
    package static func canonical(_ path: String) -> String? {
        guard let text = realpath(path, nil) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }

    /// What a link holds.
    package static func link(_ path: String) -> String? {
        var room = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &room, room.count)
        return count > 0 ? String(decoding: room[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }

    /// What the links in a folder lead to, followed to their end.
    package static func linkTargets(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var targets: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let path = "\(folder)/\(name)"
            if link(path) != nil, let target = canonical(path) { targets.append(target) }
        }
        return targets
    }

    /// The paths at which something is mounted, as /proc/self/mountinfo has them (proc(5)).
    package static func mounts() -> Set<String> {
        guard let bytes = try? FileBytes.read("/proc/self/mountinfo") else { return [] }
        return mounts(in: String(decoding: bytes, as: UTF8.self))
    }

    /// The fifth word of each line. Blanks in it are written as numbers, and such a path is none that we ask for.
    package static func mounts(in text: String) -> Set<String> {
        var found: Set<String> = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 5)
            if words.count > 4 { found.insert(String(words[4])) }
        }
        return found
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    private static func joined(_ folder: String, _ target: String) -> String {
        if target.hasPrefix("/") { return target }
        return folder == "/" ? "/\(target)" : "\(folder)/\(target)"
    }

    /// Whether a link in `folder` leads to something in the same folder.
    private static func isBeside(_ target: String, in folder: String) -> Bool {
        !target.split(separator: "/").contains("..") && (!target.hasPrefix("/") || target.hasPrefix(folder + "/"))
    }
}
