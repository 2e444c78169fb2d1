using System.Security.Cryptography;
using System.Text;

namespace SnapshotFlow.Model;

/// <summary>
/// Ids that follow from what they stand for, so that a repeated step names the same thing again.
/// Source: RFC 9562 §5.5, name-based UUIDs (version 5, SHA-1).
/// </summary>
public static class DeterministicId
{
    private static readonly Guid SnapshotNamespace = new("5a1d1c5e-6f0d-5b0e-9a53-0c6a2f3f6a01");
    private static readonly Guid ImageNamespace = new("5a1d1c5e-6f0d-5b0e-9a53-0c6a2f3f6a02");
    private static readonly Guid VolumeNamespace = new("5a1d1c5e-6f0d-5b0e-9a53-0c6a2f3f6a03");
    private static readonly Guid OperationNamespace = new("5a1d1c5e-6f0d-5b0e-9a53-0c6a2f3f6a04");
    private static readonly Guid MessageNamespace = new("5a1d1c5e-6f0d-5b0e-9a53-0c6a2f3f6a05");

    /// <summary>The snapshot that the run for <paramref name="image"/> makes of <paramref name="volume"/>: one, however often it is tried.</summary>
    public static SnapshotId Snapshot(ImageId image, VolumeId volume) => new(Name(SnapshotNamespace, $"{image}/{volume}"));

    /// <summary>The image that a project's idempotency key stands for.</summary>
    public static ImageId Image(string projectId, string idempotencyKey) => new(Name(ImageNamespace, $"{projectId}\n{idempotencyKey}"));

    /// <summary>The volume that a restore makes from <paramref name="snapshot"/>: one, however often it is tried.</summary>
    public static VolumeId Volume(OperationId restore, SnapshotId snapshot) => new(Name(VolumeNamespace, $"{restore}/{snapshot}"));

    /// <summary>The snapshot that a project's idempotency key stands for.</summary>
    public static SnapshotId Snapshot(string projectId, string idempotencyKey) => new(Name(SnapshotNamespace, $"{projectId}\n{idempotencyKey}"));

    /// <summary>The volume that a project's idempotency key stands for.</summary>
    public static VolumeId Volume(string projectId, string idempotencyKey) => new(Name(VolumeNamespace, $"{projectId}\n{idempotencyKey}"));

    /// <summary>The operation that a project's idempotency key stands for.</summary>
    public static OperationId Operation(string projectId, string idempotencyKey) => new(Name(OperationNamespace, $"{projectId}\n{idempotencyKey}"));

    /// <summary>The message that tells of one event of a resource in one request.</summary>
    public static Guid Message(string eventId, Guid resource, string requestId) => Name(MessageNamespace, $"{eventId}/{resource}/{requestId}");

    private static Guid Name(Guid space, string name)
    {
        var text = Encoding.UTF8.GetBytes(name);
        var input = new byte[16 + text.Length];
        space.TryWriteBytes(input, bigEndian: true, out _);
        text.CopyTo(input, 16);
        // SHA-1 is what the format prescribes; nothing here relies on it for secrecy.
        var hash = SHA1.HashData(input);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }
}
