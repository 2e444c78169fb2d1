using System.Collections.Concurrent;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <summary>
/// The sentences of <see cref="IVolumeDriver"/>, checked one by one. A driver's tests derive from this class and say three things: how to open a driver over
/// one storage, how to write to a volume, and how to read it. Every test has a storage of its own.
/// </summary>
public abstract partial class VolumeDriverContract : IAsyncLifetime
{
    private const int KiB = 1024, MiB = 1024 * KiB;
    private const long Size = 4 * MiB;

    private IVolumeDriver driver = null!;

    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>A new driver over this test's storage, as another process or the next start of this one would have it.</summary>
    protected abstract IVolumeDriver Open();

    /// <summary>Writes to a volume as an attached server would.</summary>
    protected abstract void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Reads a volume as an attached server would.</summary>
    protected abstract byte[] Read(VolumeId volume, long offset, int count);

    /// <summary>Makes this test's storage, or skips the test with the reason.</summary>
    protected virtual ValueTask PrepareAsync() => ValueTask.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        driver = await OpenCheckedAsync();
    }

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Checking_twice_is_harmless()
    {
        await driver.CheckAsync(Ct);
        await driver.CheckAsync(Ct);
    }

    [Fact]
    public void Capabilities_name_the_back_end_and_a_usable_size()
    {
        Assert.Matches("^[a-z][a-z0-9-]*$", driver.Capabilities.Backend);
        Assert.True(driver.Capabilities.MaxVolumeBytes >= 1L << 30);
    }

    /// <summary>Large enough that a copying driver has to copy in several steps.</summary>
    protected const long LargeBytes = 48 * MiB;

    protected async Task<IVolumeDriver> OpenCheckedAsync()
    {
        var opened = Open();
        await opened.CheckAsync(Ct);
        return opened;
    }

    protected async Task<VolumeId> VolumeAsync(long size = Size)
    {
        var id = VolumeId.New();
        await driver.CreateVolumeAsync(id, size, Ct);
        return id;
    }

    protected async Task<VolumeId> LargeVolumeAsync()
    {
        var volume = await VolumeAsync(LargeBytes);
        var bytes = new byte[MiB];
        for (var i = 0; i < LargeBytes / MiB; i += 2)
        {
            Array.Fill(bytes, (byte)(i + 1));
            Write(volume, (long)i * MiB, bytes);
        }

        return volume;
    }

    protected Task<CreatedSnapshot> CutAsync(VolumeId volume) => driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct);

    protected async Task<VolumeId> CloneAsync(CreatedSnapshot snapshot, long? size = null)
    {
        var id = VolumeId.New();
        await driver.CreateVolumeFromSnapshotAsync(id, snapshot.Volume, snapshot.Snapshot, size ?? snapshot.SizeBytes, null, Ct);
        return id;
    }

    protected static async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, Func<Task> call)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(call);
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        Assert.NotEmpty(refusal.Message);
        return refusal;
    }

    private async Task<List<CreatedSnapshot>> CutManyAsync(int count)
    {
        var volume = await VolumeAsync();
        var made = new List<CreatedSnapshot>();
        for (var i = 0; i < count; i++)
        {
            made.Add(await CutAsync(volume));
        }

        return [.. made.OrderBy(s => s.Snapshot.ToString(), StringComparer.Ordinal)];
    }

    private async Task<List<CreatedSnapshot>> ListAsync()
    {
        var page = await driver.ListSnapshotsAsync(null, SnapshotPage.MaxLimit, Ct);
        Assert.Null(page.Next);
        return [.. page.Snapshots];
    }

    /// <summary>Runs a call many times at the same moment, half of them through another driver instance, as another process would.</summary>
    private async Task<T[]> AtOnceAsync<T>(int count, Func<IVolumeDriver, Task<T>> call)
    {
        var other = await OpenCheckedAsync();
        using var start = new Barrier(count);
        return await Task.WhenAll(Enumerable.Range(0, count).Select(i => Task.Factory.StartNew(() =>
        {
            start.SignalAndWait(Ct);
            return call(i % 2 == 0 ? driver : other);
        }, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
    }

    /// <summary>Whether the call was refused with this kind; any other failure is a failure.</summary>
    private static async Task<bool> TolerateAsync(Func<Task> call, ErrorKind refusal)
    {
        try
        {
            await call();
            return false;
        }
        catch (SnapshotFlowException e) when (e.Kind == refusal)
        {
            return true;
        }
    }

    /// <summary>What a call gave that was cancelled on its way: its result, or null when the cancellation came in time.</summary>
    private static async Task<T?> EndedAsync<T>(Func<Task<T>> call) where T : class
    {
        try
        {
            return await call();
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private static async Task CancelledAsync(Func<Task> call) => await Assert.ThrowsAnyAsync<OperationCanceledException>(call);

    private void Same(VolumeId expected, VolumeId actual)
    {
        for (long at = 0; at < LargeBytes; at += MiB)
        {
            Assert.True(Read(expected, at, MiB).AsSpan().SequenceEqual(Read(actual, at, MiB)), $"bytes from {at} differ");
        }
    }

    protected static byte[] Text(string text) => System.Text.Encoding.ASCII.GetBytes(text);

    private sealed class Reports(Action<DriverProgress>? then = null) : IProgress<DriverProgress>
    {
        public ConcurrentQueue<DriverProgress> Seen { get; } = [];

        public void Report(DriverProgress value)
        {
            Seen.Enqueue(value);
            then?.Invoke(value);
        }
    }
}
