internal import COpenSSL

extension [UInt8] {
    /// Overwrites the bytes with zeros in a way the optimiser keeps, and empties the array.
    ///
    /// Reaches this array's storage only. Call it on the sole owner; a copy shared with someone else stays theirs.
    package mutating func wipe() {
        withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        removeAll()
    }
}
