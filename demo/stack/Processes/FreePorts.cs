using System.Net;
using System.Net.Sockets;

namespace SnapshotFlow.Stack.Processes;

/// <summary>Picks ports on the loopback interface that nobody listens on.</summary>
internal static class FreePorts
{
    /// <summary>Different free ports, as many as asked for.</summary>
    public static int[] Take(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        try
        {
            // All are held until the last is known: otherwise the system may give the same one twice.
            Array.ForEach(listeners, l => l.Start());
            return [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        }
        finally
        {
            Array.ForEach(listeners, l => l.Dispose());
        }
    }
}
