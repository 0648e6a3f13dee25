/// What Landlock can deny, by the version (ABI) of it that the kernel has.
///
/// What is later than 7 is left alone: no kernel with it was there to be tried. Version 9 would also ask about Unix sockets
/// by path, which name services of many kinds are reached by, and 10 about UDP, which names are looked up by.
struct LandlockRights: OptionSet, Sendable {
    let rawValue: UInt64

    static let execute = LandlockRights(rawValue: 1 << 0)
    static let writeFile = LandlockRights(rawValue: 1 << 1)
    static let readFile = LandlockRights(rawValue: 1 << 2)
    static let readFolder = LandlockRights(rawValue: 1 << 3)
    static let removeFolder = LandlockRights(rawValue: 1 << 4)
    static let removeFile = LandlockRights(rawValue: 1 << 5)
    static let makeFolder = LandlockRights(rawValue: 1 << 7)
    static let makeFile = LandlockRights(rawValue: 1 << 8)
    static let makeSocket = LandlockRights(rawValue: 1 << 9)
    /// Links and renames from one folder to another; without version 2 there are none.
    static let refer = LandlockRights(rawValue: 1 << 13)
    static let truncate = LandlockRights(rawValue: 1 << 14)

    /// All that have to do with files.
    static func files(_ abi: Int) -> LandlockRights {
        // The first 13, links and renames between folders, truncation, devices.
        let count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13
        return LandlockRights(rawValue: (1 << UInt64(count)) - 1)
    }

    /// Those that a rule about a file, and no folder, may have.
    static let ofFiles: LandlockRights = [.execute, .writeFile, .readFile, .truncate, .init(rawValue: 1 << 15)]

    static let read: LandlockRights = [.readFile, .readFolder]
    /// To change what a folder holds, as a journal of new files and renames does.
    static let write: LandlockRights = [
        .readFile, .readFolder, .writeFile, .truncate, .makeFile, .makeFolder, .removeFile, .removeFolder, .refer,
    ]
    static let sockets: LandlockRights = [.makeSocket, .removeFile]
}

/// TCP ports: from version 4.
enum LandlockPorts {
    static let firstABI = 4
    static let bind: UInt64 = 1 << 0
    static let connect: UInt64 = 1 << 1
}

/// Which other processes can be reached: from version 6.
enum LandlockScopes {
    static let firstABI = 6
    /// Abstract Unix sockets that were made outside.
    static let abstractSockets: UInt64 = 1 << 0
    static let signals: UInt64 = 1 << 1
}
