using System.Collections.Immutable;

namespace SnapshotFlow.Tests.Drivers.Example;

/// <summary>What the disk array answers when it says no.</summary>
public enum ArrayFault
{
    NoSuchObject,
    NameInUse,
    HasDependents,
    PoolFull,
    ConnectionLost,
}

public sealed class ArrayException(ArrayFault fault, string message) : Exception(message)
{
    public ArrayFault Fault { get; } = fault;
}

public sealed record ArrayLun(string Name, long SizeBytes, string? Snapshot, string Label);

public sealed record ArraySnapshot(string Name, string Lun, long SizeBytes, DateTimeOffset TakenAt);

/// <summary>
/// The back end of the example: a disk array as its vendor might sell it, with a client library of its own habits. Each call is atomic, none is idempotent: a
/// name that is taken is an error, a name that is absent is an error, clones chain blocks, and a connection can break after the work was done.
/// </summary>
public sealed class DiskArray
{
    private const int PageBytes = 64 * 1024;

    private readonly Lock gate = new();
    private readonly SortedDictionary<string, (ArrayLun Facts, ImmutableDictionary<long, byte[]> Pages)> luns = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (ArraySnapshot Facts, ImmutableDictionary<long, byte[]> Pages)> snapshots = new(StringComparer.Ordinal);
    private string? breaksAfter;

    /// <summary>The next call of this name does its work, then the connection breaks.</summary>
    public void BreakAfter(string call) => breaksAfter = call;

    public string FirmwareVersion => "4.2";

    public void CreateLun(string name, long sizeBytes, string label) => Call(nameof(CreateLun), () =>
        Add(luns, name, (new(name, sizeBytes, null, label), ImmutableDictionary<long, byte[]>.Empty)));

    public ArrayLun GetLun(string name) => Call(nameof(GetLun), () => Get(luns, name).Facts);

    public void ResizeLun(string name, long sizeBytes) => Call(nameof(ResizeLun), () =>
    {
        var (facts, pages) = Get(luns, name);
        return luns[name] = (facts with { SizeBytes = sizeBytes }, pages);
    });

    public void DeleteLun(string name) => Call(nameof(DeleteLun), () =>
    {
        Get(luns, name);
        RefuseIfNeeded(snapshots.Values.Where(s => s.Facts.Lun == name).Select(s => s.Facts.Name));
        return luns.Remove(name);
    });

    public void TakeSnapshot(string lun, string name) => Call(nameof(TakeSnapshot), () =>
    {
        var (facts, pages) = Get(luns, lun);
        return Add(snapshots, name, (new(name, lun, facts.SizeBytes, TimeProvider.System.GetUtcNow()), pages));
    });

    public ArraySnapshot GetSnapshot(string name) => Call(nameof(GetSnapshot), () => Get(snapshots, name).Facts);

    public IReadOnlyList<string> SnapshotNames() => Call(nameof(SnapshotNames), () => snapshots.Keys.ToList());

    public void DeleteSnapshot(string name) => Call(nameof(DeleteSnapshot), () =>
    {
        Get(snapshots, name);
        RefuseIfNeeded(luns.Values.Where(l => l.Facts.Snapshot == name).Select(l => l.Facts.Name));
        return snapshots.Remove(name);
    });

    public void CloneLun(string snapshot, string name, string label) => Call(nameof(CloneLun), () =>
    {
        var (facts, pages) = Get(snapshots, snapshot);
        return Add(luns, name, (new(name, facts.SizeBytes, snapshot, label), pages));
    });

    /// <summary>What an attached server does.</summary>
    public void Write(string lun, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (gate)
        {
            var (facts, pages) = Get(luns, lun);
            for (var done = 0; done < bytes.Length;)
            {
                var (index, within) = Math.DivRem(offset + done, PageBytes);
                var count = (int)Math.Min(PageBytes - within, bytes.Length - done);
                var page = pages.TryGetValue(index, out var old) ? old.ToArray() : new byte[PageBytes];
                bytes.Slice(done, count).CopyTo(page.AsSpan((int)within));
                pages = pages.SetItem(index, page);
                done += count;
            }

            luns[lun] = (facts, pages);
        }
    }

    /// <summary>What an attached server does.</summary>
    public byte[] Read(string lun, long offset, int count)
    {
        lock (gate)
        {
            var (facts, pages) = Get(luns, lun);
            Assert.True(offset + count <= facts.SizeBytes, "a read behind the end of the volume");
            var bytes = new byte[count];
            for (var done = 0; done < count;)
            {
                var (index, within) = Math.DivRem(offset + done, PageBytes);
                var part = (int)Math.Min(PageBytes - within, count - done);
                pages.GetValueOrDefault(index)?.AsSpan((int)within, part).CopyTo(bytes.AsSpan(done));
                done += part;
            }

            return bytes;
        }
    }

    private T Call<T>(string name, Func<T> call)
    {
        lock (gate)
        {
            var result = call();
            if (breaksAfter == name)
            {
                breaksAfter = null;
                throw new ArrayException(ArrayFault.ConnectionLost, $"{name}: connection reset");
            }

            return result;
        }
    }

    private static T Get<T>(SortedDictionary<string, T> objects, string name) =>
        objects.TryGetValue(name, out var found) ? found : throw new ArrayException(ArrayFault.NoSuchObject, $"no object {name}");

    private static bool Add<T>(SortedDictionary<string, T> objects, string name, T value) =>
        objects.TryAdd(name, value) ? true : throw new ArrayException(ArrayFault.NameInUse, $"{name} exists");

    private static void RefuseIfNeeded(IEnumerable<string> dependents)
    {
        if (dependents.ToList() is { Count: > 0 } names)
        {
            throw new ArrayException(ArrayFault.HasDependents, string.Join(", ", names));
        }
    }
}
