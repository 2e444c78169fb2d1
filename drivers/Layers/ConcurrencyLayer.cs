namespace SnapshotFlow.Drivers.Layers;

/// <summary>Lets only so many calls into a driver at the same time; the others wait in order, or until they are cancelled.</summary>
/// <param name="inner">The driver, or the next layer.</param>
/// <param name="limit">Calls at the same time, at least 1.</param>
public sealed class ConcurrencyLayer(IVolumeDriver inner, int limit) : VolumeDriverLayer(inner)
{
    // Lives as long as the process, like the driver; it holds nothing to dispose unless its wait handle is asked for, which nobody does.
    private readonly SemaphoreSlim places = new(limit);

    /// <inheritdoc/>
    protected override async Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct)
    {
        await places.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            return await next().ConfigureAwait(false);
        }
        finally
        {
            places.Release();
        }
    }
}
