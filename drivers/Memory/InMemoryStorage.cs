using System.Collections.Immutable;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Memory;

/// <summary>
/// A storage back end in this process: volumes and snapshots as copy-on-write bytes. Outlives the drivers that use it, as a disk array outlives its workers.
/// </summary>
public sealed class InMemoryStorage
{
    internal const int ChunkBytes = 64 * 1024;

    internal readonly Lock Gate = new();
    internal readonly Dictionary<VolumeId, Volume> Volumes = [];
    internal readonly Dictionary<SnapshotId, Snapshot> Snapshots = [];

    /// <summary>Writes to a volume as an attached server would. Takes effect as a whole or not at all.</summary>
    public void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (Gate)
        {
            var target = Find(volume, offset, bytes.Length);
            var chunks = target.Content.Chunks;
            for (var done = 0; done < bytes.Length;)
            {
                var (index, within) = Math.DivRem(offset + done, ChunkBytes);
                var count = (int)Math.Min(ChunkBytes - within, bytes.Length - done);
                // Chunks are never changed in place: a snapshot may share them.
                var chunk = chunks.TryGetValue(index, out var old) ? old.ToArray() : new byte[ChunkBytes];
                bytes.Slice(done, count).CopyTo(chunk.AsSpan((int)within));
                chunks = chunks.SetItem(index, chunk);
                done += count;
            }

            target.Content = target.Content with { Chunks = chunks };
        }
    }

    /// <summary>Reads from a volume.</summary>
    public void Read(VolumeId volume, long offset, Span<byte> bytes)
    {
        Content content;
        lock (Gate)
        {
            content = Find(volume, offset, bytes.Length).Content;
        }

        for (var done = 0; done < bytes.Length;)
        {
            var (index, within) = Math.DivRem(offset + done, ChunkBytes);
            var count = (int)Math.Min(ChunkBytes - within, bytes.Length - done);
            var to = bytes.Slice(done, count);
            if (content.Chunks.TryGetValue(index, out var chunk))
            {
                chunk.AsSpan((int)within, count).CopyTo(to);
            }
            else
            {
                to.Clear();
            }

            done += count;
        }
    }

    private Volume Find(VolumeId volume, long offset, int length)
    {
        var found = Volumes.GetValueOrDefault(volume) ?? throw VolumeRequest.NoVolume(volume, InMemoryVolumeDriver.Kind);
        return offset >= 0 && offset + length <= found.Content.SizeBytes
            ? found
            : throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"volume {volume}: bytes {offset} to {offset + length} are outside its {found.Content.SizeBytes} bytes");
    }

    /// <summary>Bytes, shared between volumes and snapshots; what is not in <c>Chunks</c> is zero.</summary>
    internal sealed record Content(long SizeBytes, ImmutableDictionary<long, byte[]> Chunks);

    internal sealed class Volume(Content content, SnapshotId? source)
    {
        public Content Content { get; set; } = content;

        public SnapshotId? Source { get; } = source;

        public long CreatedSizeBytes { get; } = content.SizeBytes;
    }

    internal sealed record Snapshot(CreatedSnapshot Facts, Content Content);
}
