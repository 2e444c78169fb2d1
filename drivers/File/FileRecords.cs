using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.File;

/// <summary>What <c>snapshot-ID.json</c> says.</summary>
internal sealed record SnapshotRecord(SnapshotId Snapshot, VolumeId Volume, long SizeBytes, DateTimeOffset CreatedAt);

/// <summary>What <c>volume-ID.json</c> says of a clone.</summary>
internal sealed record CloneRecord(VolumeId Volume, VolumeId SourceVolume, SnapshotId Snapshot);

/// <summary>Reads and writes the small JSON files beside the data.</summary>
internal static class FileRecords
{
    private const int MaxBytes = 4096;

    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The record; null when there is none.</summary>
    public static T? Read<T>(string path) where T : class
    {
        using var file = Libc.TryOpen(path, Libc.ReadOnly, out var errno);
        if (file is null)
        {
            return errno == Libc.ENOENT ? null : throw new ErrnoException(errno, "open", path);
        }

        var bytes = new byte[MaxBytes];
        var length = Libc.Read(file, bytes, 0, path);
        try
        {
            return JsonSerializer.Deserialize<T>(bytes.AsSpan(0, length), Format) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused,
                $"{path} is damaged: {e.Message}; restore it from a backup, or delete it together with the data beside it", e);
        }
    }

    /// <summary>Writes the record whole; the name is durable once the directory is synced.</summary>
    public static void Write<T>(string path, T record)
    {
        var partial = FileLayout.Partial(path);
        Libc.Remove(partial);
        using (var file = Libc.Open(partial, Libc.Create | Libc.Exclusive | Libc.ReadWrite, 0x1A0 /* 0640 */))
        {
            Libc.Write(file, JsonSerializer.SerializeToUtf8Bytes(record, Format), 0, partial);
            Libc.Sync(file, partial);
        }

        Libc.Rename(partial, path);
    }
}
