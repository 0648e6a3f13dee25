/// Why a measurement could not be made. Never about how fast something was.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
