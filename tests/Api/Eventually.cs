namespace SnapshotFlow.Tests.Api;

/// <summary>Waits for a condition with a deadline, instead of for time.</summary>
internal static class Eventually
{
    public static async Task<T> IsAsync<T>(Func<Task<T>> read, Func<T, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (true)
        {
            var value = await read();
            if (condition(value))
            {
                return value;
            }

            await timer.WaitForNextTickAsync(deadline.Token);
        }
    }
}
