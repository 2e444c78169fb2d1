using System.Buffers.Binary;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>A schedule's revision as the opaque bytes that an update sends back. Source: Temporal's scheduler, eight bytes big-endian.</summary>
internal static class ConflictToken
{
    public static ByteString Write(long revision)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, revision);
        return ByteString.CopyFrom(bytes);
    }

    /// <summary>Null when these bytes are no token.</summary>
    public static long? Read(ByteString bytes) => bytes.Length == sizeof(long) ? BinaryPrimitives.ReadInt64BigEndian(bytes.Span) : null;
}
