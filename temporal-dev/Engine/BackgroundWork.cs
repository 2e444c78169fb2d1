using System.Collections.Concurrent;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Work that no caller waits for: it is counted, its errors are logged, and the end of the server waits for it for a while.</summary>
internal sealed partial class BackgroundWork(ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Task, bool> running = new();
    private volatile bool stopping;

    public void Start(Func<Task> work)
    {
        if (stopping)
        {
            return;
        }

        var task = Task.Run(() => GuardAsync(work));
        running[task] = true;
        task.ContinueWith(t => running.TryRemove(t, out _), TaskScheduler.Default);
    }

    public async ValueTask DisposeAsync()
    {
        stopping = true;
        await Task.WhenAny(Task.WhenAll(running.Keys), Task.Delay(Patience));
    }

    private async Task GuardAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception e) when (!stopping)
        {
            Log.Failed(logger, e);
        }
        catch (Exception)
        {
            // The server is going down under it; what it did not do is done again after the next start.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "background work failed")]
        public static partial void Failed(ILogger logger, Exception error);
    }
}
