using System.Diagnostics;

namespace SnapshotFlow.DemoGuest;

/// <summary>
/// What stands between the guest's writer and its disks. Frozen: no write is under way and none begins. A freeze can come between any two writes, so also between
/// the disks of one round, as with a real guest.
/// </summary>
internal sealed class FreezeGate
{
    private readonly object state = new();
    private bool frozen;
    private bool writing;
    private bool stopped;

    public bool IsFrozen
    {
        get { lock (state) { return frozen; } }
    }

    /// <summary>Runs one write when the guest is thawed; false when the guest stops instead.</summary>
    public bool Write(Action write)
    {
        lock (state)
        {
            while (frozen && !stopped)
            {
                Monitor.Wait(state);
            }

            if (stopped)
            {
                return false;
            }

            writing = true;
        }

        try
        {
            write();
            return true;
        }
        finally
        {
            lock (state)
            {
                writing = false;
                Monitor.PulseAll(state);
            }
        }
    }

    /// <summary>Freezes; returns when no write is under way. False: it was frozen already.</summary>
    public bool Freeze()
    {
        lock (state)
        {
            if (frozen)
            {
                return false;
            }

            frozen = true;
            while (writing)
            {
                Monitor.Wait(state);
            }

            return true;
        }
    }

    /// <summary>Thaws. False: it was not frozen.</summary>
    public bool Thaw()
    {
        lock (state)
        {
            var was = frozen;
            frozen = false;
            Monitor.PulseAll(state);
            return was;
        }
    }

    /// <summary>Waits so long, or until the guest stops; whether it stops.</summary>
    public bool WaitForStop(TimeSpan time)
    {
        var until = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        lock (state)
        {
            // Freeze and thaw wake it, too.
            while (!stopped && Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), until) is var left && left > TimeSpan.Zero)
            {
                Monitor.Wait(state, left);
            }

            return stopped;
        }
    }

    /// <summary>Lets a waiting writer go, for good.</summary>
    public void Stop()
    {
        lock (state)
        {
            stopped = true;
            Monitor.PulseAll(state);
        }
    }
}
