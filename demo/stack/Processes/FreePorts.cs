using System.Net;
using System.Net.Sockets;

namespace SnapshotFlow.Stack.Processes;

/// <summary>
/// Picks ports on the loopback interface that nobody listens on, below those that the system gives to outgoing connections: a server that was killed must
/// find its port free when it is started again, and not taken by a connection, least of all by a client's attempt to reach it that met itself.
/// </summary>
internal static class FreePorts
{
    private const int Lowest = 15_000;

    /// <summary>Linux's default. Source: ip(7), ip_local_port_range.</summary>
    private const int FirstOfConnections = 32_768;

    /// <summary>Refuses a port that something listens on, or that may not be listened on, before anything is started that would meet it.</summary>
    /// <param name="port">The port; null when any will do.</param>
    /// <param name="option">Who chose it: an option of the command line, or a key of the settings.</param>
    /// <exception cref="StackException">It cannot be had.</exception>
    public static void Require(int? port, string option)
    {
        if (port is not { } wanted)
        {
            return;
        }

        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, wanted);
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new StackException(
                e.SocketErrorCode is SocketError.AddressAlreadyInUse
                    ? $"{option} {wanted} is taken: something listens on 127.0.0.1:{wanted} already. Stop it, give another port, or none to have a free one"
                    : $"{option} {wanted} cannot be listened on: {e.Message}. Give another port, or none to have a free one",
                e);
        }
    }

    /// <summary>Different free ports, as many as asked for.</summary>
    public static int[] Take(int count)
    {
        var listeners = new List<TcpListener>();
        try
        {
            // All are held until the last is known: otherwise the same one may be taken twice.
            while (listeners.Count < count)
            {
                var listener = new TcpListener(IPAddress.Loopback, Random.Shared.Next(Lowest, FirstOfConnections));
                try
                {
                    listener.Start();
                    listeners.Add(listener);
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse)
                {
                    listener.Dispose();
                }
            }
            return [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        }
        finally
        {
            listeners.ForEach(l => l.Dispose());
        }
    }
}
