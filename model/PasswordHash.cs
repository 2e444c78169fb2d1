using System.Globalization;
using System.Security.Cryptography;

namespace SnapshotFlow.Model;

/// <summary>
/// A password as it may be written down: PBKDF2 (RFC 8018) with HMAC-SHA-512 and a salt of its own, as text <c>pbkdf2-sha512:ROUNDS:SALT:HASH</c>, salt and hash
/// in Base64. The work factor is in the text, so it can grow without making old ones worthless.
/// </summary>
public sealed class PasswordHash
{
    /// <summary>Rounds of a new hash. Source: OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA512.</summary>
    public const int DefaultRounds = 210_000;

    /// <summary>
    /// Fewest rounds that are accepted. Enough for a password of 128 random bits, which nobody finds by trying, however fast; not for one that somebody thought of.
    /// </summary>
    public const int FewestRounds = 1_000;

    private const string Scheme = "pbkdf2-sha512";
    private const int MostRounds = 10_000_000;
    private const int FewestSaltBytes = 8;
    private const int SaltBytes = 16;
    private const int HashBytes = 32;

    private readonly int rounds;
    private readonly byte[] salt;
    private readonly byte[] hash;

    private PasswordHash(int rounds, byte[] salt, byte[] hash)
    {
        this.rounds = rounds;
        this.salt = salt;
        this.hash = hash;
    }

    /// <summary>The hash of a password, with a random salt.</summary>
    public static PasswordHash Of(string password, int rounds = DefaultRounds)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        return new(rounds, salt, Derive(password, salt, rounds, HashBytes));
    }

    /// <summary>A hash that no password has, and that takes as long to check as others of so many rounds.</summary>
    public static PasswordHash OfNobody(int rounds) => new(rounds, RandomNumberGenerator.GetBytes(SaltBytes), RandomNumberGenerator.GetBytes(HashBytes));

    /// <summary>The work factor.</summary>
    public int Rounds => rounds;

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">It is something else; the message says what is expected and never repeats the text.</exception>
    public static PasswordHash Parse(string text)
    {
        if (text.Split(':') is not [Scheme, var count, var salt, var hash]
            || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var rounds)
            || Bytes(salt) is not { Length: >= FewestSaltBytes } saltBytes
            || Bytes(hash) is not { Length: HashBytes } hashBytes)
        {
            throw new FormatException($"it is no password hash: write {Scheme}:ROUNDS:SALT:HASH, as ./snapshotflow hash-password prints it");
        }

        return rounds is >= FewestRounds and <= MostRounds
            ? new(rounds, saltBytes, hashBytes)
            : throw new FormatException($"a password hash has between {FewestRounds} and {MostRounds} rounds, not {rounds}");
    }

    /// <summary>Whether this is the hash of the password. Takes the same time whatever the answer.</summary>
    public bool Verify(string password) => CryptographicOperations.FixedTimeEquals(hash, Derive(password, salt, rounds, HashBytes));

    /// <summary>The text to write down.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Scheme}:{rounds}:{Convert.ToBase64String(salt)}:{Convert.ToBase64String(hash)}");

    private static byte[] Derive(string password, byte[] salt, int rounds, int length) =>
        Rfc2898DeriveBytes.Pbkdf2(password, salt, rounds, HashAlgorithmName.SHA512, length);

    private static byte[]? Bytes(string text)
    {
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : null;
    }
}
