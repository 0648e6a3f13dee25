internal import Glibc
internal import TunnelSetup

/// Makes a folder as the input says, of files, folders, links, pipes and a journal, and opens it as a store. Nothing may
/// trap or wait; what is read comes from files of the folder, and a folder that was opened for writing has no journal.
func checkFolderContents(_ bytes: [UInt8]) {
    let path = "/dev/shm/fuzz-folder-\(getpid())"
    removeTree(path)
    guard mkdir(path, 0o700) == 0 else { return }
    defer { removeTree(path) }
    let keys = StoreKey.allCases.map(\.rawValue)
    let places = ["", ".setup-journal/", ".setup-journal.tmp/"]
    var rest = bytes.prefix(256)
    while let kind = rest.popFirst(), let place = rest.popFirst() {
        let key = keys[Int(place) % keys.count]
        let folder = places[Int(place) / keys.count % places.count]
        if !folder.isEmpty { mkdir("\(path)/\(folder)", 0o700) }
        let name = "\(path)/\(folder)\(key)\(kind & 0x80 == 0 ? "" : ".removed")"
        switch kind & 7 {
        case 0, 1: write(name, Array(rest.prefix(Int(kind >> 3))))
        case 2: mkdir(name, 0o700)
        case 3: symlink(keys[Int(kind >> 3) % keys.count], name)
        case 4: mkfifo(name, 0o600)
        case 5: symlink("/no/such/file", name)
        case 6: link("\(path)/\(keys[Int(kind >> 3) % keys.count])", name)
        default: mkdir("\(path)/.setup.lock", 0o700)
        }
    }
    for purpose in [DirectoryStore.Purpose.reading, .writing] {
        guard let store = try? DirectoryStore.open(path: path, for: purpose) else { continue }
        _ = try? store.contents()
        if purpose == .writing { precondition(access("\(path)/.setup-journal", F_OK) != 0, "a journal that was left") }
    }
}

private func write(_ path: String, _ bytes: [UInt8]) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NONBLOCK, 0o600)
    guard file >= 0 else { return }
    _ = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    close(file)
}

private func removeTree(_ path: String) {
    if let folder = opendir(path) {
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        closedir(folder)
        for name in names where name != "." && name != ".." {
            if unlink("\(path)/\(name)") != 0 { removeTree("\(path)/\(name)") }
        }
    }
    rmdir(path)
}
